"""Smaller files that decide as the float file does: recipes, calibration, one converter per format, and a proof."""
