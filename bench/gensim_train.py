"""One training run of gensim in a process of its own: compare_gensim.py starts it and times it from start to end.

python bench/gensim_train.py CORPUS VECTORS SETTINGS, where CORPUS has a sentence a line and SETTINGS are the arguments
of gensim's Word2Vec as JSON; prints what each part took as JSON.
"""

import json
import sys
import time


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
    known = int(sum(model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key))
    share = seen / (model.corpus_total_words * model.epochs)
    print(json.dumps({"seconds": seconds, "words": known, "vocabulary": len(model.wv), "share_seen": share}))


if __name__ == "__main__":
    main(*sys.argv[1:])
