"""Frame sources behind one interface (`frame.Source`), opened by what a user writes (`open.open_source`).

`camera.Camera` keeps one running. docs/cameras.md says how they behave.
"""
