"""Trains a recipe and dies at a chosen moment: interrupted.py RECIPE DATA OUT {kill-step,kill-save,int} NUMBER.

DATA is a folder, or - for a recipe that brings its own.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from edgebnn.training import checkpoints
from edgebnn.training.loop import Loop
from edgebnn.training.run import train

recipe, data, out, moment, number = sys.argv[1:]
take_step, savez, saves = Loop._take_step, np.savez, 0


def step(self, state, batch):
    take_step(self, state, batch)
    if state.step == int(number) and moment != "kill-save":
        os.kill(os.getpid(), signal.SIGKILL if moment == "kill-step" else signal.SIGINT)


def save(file, **arrays):
    global saves
    saves += 1
    savez(file, **arrays)
    if moment == "kill-save" and saves == int(number):  # half of the new file is written
        file.truncate(file.tell() // 2)
        os.kill(os.getpid(), signal.SIGKILL)


Loop._take_step, checkpoints.np.savez = step, save
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a script
try:
    train(recipe, data=[] if data == "-" else [Path(data)], out=Path(out), resume=False, init_from=None, smoke=False)
except KeyboardInterrupt:
    sys.exit(130)
