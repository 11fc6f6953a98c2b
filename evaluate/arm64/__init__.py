"""Does a phone's processor give the same bytes? Files run here and on an emulated 64-bit ARM, with the engines' own
kernels for it. Parity only: an emulator's time says nothing.
"""
