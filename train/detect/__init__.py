"""Training the detector: labels, pictures, assignment, losses and the task that the loop drives."""
