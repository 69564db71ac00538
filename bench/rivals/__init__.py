"""What a user would pick instead: each written as its makers write it, and really run."""
