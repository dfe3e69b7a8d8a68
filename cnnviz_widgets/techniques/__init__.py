"""One module per technique: tensors in, tensors out. No widget, no figure, no state."""
