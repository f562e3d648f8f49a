"""What measurements are made into: tables, costs, a plot."""
