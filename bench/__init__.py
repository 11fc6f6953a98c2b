"""How fast is it? Each file here answers one question, with ratios from one run: these machines are noisy."""
