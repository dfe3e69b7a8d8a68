"""Comparisons with other libraries; a package, so that its modules may be called as those one folder up."""
