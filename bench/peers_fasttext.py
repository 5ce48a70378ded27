"""One training run of fastText's skip-gram: peers.py starts it in the peers' environment.

peers_fasttext.py TEXT VECTORS SETTINGS, where SETTINGS are the arguments of train_unsupervised as JSON. Prints what
each part took when the model is saved; how the time between them is shared by counting and training, fastText's own
lines tell. VECTORS.npy and VECTORS.txt are written after that, for the scores.
"""

import json
import sys
import time
from pathlib import Path


def main(corpus: str, vectors: str, settings: str) -> None:
    """Count and train in one call, save."""
    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return clock[-1] - clock[-2]

    import fasttext

    seconds = {"import": lap()}
    model = fasttext.train_unsupervised(corpus, **json.loads(settings))
    seconds["vocabulary and training"] = lap()
    model.save_model(vectors)
    seconds["saving"] = lap()
    print("told:", json.dumps({"seconds": seconds}), flush=True)

    import numpy

    words = model.get_words()
    # the end of a line is a word of fastText's
    kept = [number for number, word in enumerate(words) if word != "</s>"]
    numpy.save(f"{vectors}.npy", model.get_input_matrix()[kept])
    Path(f"{vectors}.txt").write_text("\n".join(words[number] for number in kept), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
