"""How fast is it in a phone's browser, and does it answer rightly there? A server for one page, and a judge.

The page runs every model in every engine that the browser offers, and posts times and outputs. What is right is
computed here, by the runtime in Python, and so is the verdict: nothing is taken from a phone that can be checked.
"""
