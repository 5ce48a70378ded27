"""One training run of gensim: peers.py starts it in the peers' environment.

peers_gensim.py TEXT VECTORS SETTINGS, where TEXT has a sentence a line and SETTINGS are the arguments of gensim's
Word2Vec as JSON. Prints what each part took when the vectors are saved; VECTORS.npy and VECTORS.txt are written after
that, for the scores.
"""

import json
import sys
import time
from pathlib import Path


def main(corpus: str, vectors: str, settings: str) -> None:
    """Count, train, save."""
    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return clock[-1] - clock[-2]

    from gensim.models import Word2Vec

    model, seconds = Word2Vec(**json.loads(settings)), {"import": lap()}
    model.build_vocab(corpus_file=corpus)
    seconds["vocabulary"] = lap()
    # as gensim's own constructor calls it
    _, seen = model.train(
        corpus_file=corpus,
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=model.epochs,
    )
    seconds["training"] = lap()
    model.wv.save(vectors)
    seconds["saving"] = lap()
    share = seen / (model.corpus_total_words * model.epochs)
    print("told:", json.dumps({"seconds": seconds, "share_seen": share}), flush=True)

    import numpy

    numpy.save(f"{vectors}.npy", model.wv.vectors)
    Path(f"{vectors}.txt").write_text("\n".join(model.wv.index_to_key), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
