"""Fuzzing of whatever reads files: images, priors and checkpoints, folders of results, configurations.

``python tests/fuzz.py --minutes 30`` changes small valid files in every way and looks for answers that are
neither success nor one of our own errors. ``findings`` holds the inputs that once were answered otherwise.
"""
