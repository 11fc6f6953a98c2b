"""Training: heads and losses, data and augmentation, distillation, and the loop that drives them."""
