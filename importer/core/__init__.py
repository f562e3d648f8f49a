"""Records to a report: knows no cloud, no format, and no clock but the one it is given."""
