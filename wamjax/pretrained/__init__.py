"""Foreign weights: readers, name tables, loading onto a mesh, and out again."""
