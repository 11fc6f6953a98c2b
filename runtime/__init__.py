"""What the phone does: numpy, Pillow and one engine. Finds faces, aligns them, embeds them.

Nothing in here imports torch, onnx, tensorflow or coremltools; only the Core ML engine does, on a Mac, when opened.
"""
