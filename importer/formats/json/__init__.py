"""JSON, however it lies: lines, arrays, objects one after the other, objects that wrap an array."""
