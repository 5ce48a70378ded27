"""What lies in OUT/work while a run goes on: the encoded corpus and its index, the model of each round as row blocks,
and the pointer.

work/run.json          the run that has the output, which stages are done and by which run, what the rounds train with
work/lease.json        the run's sign of life
work/TAG/counts/       word, count of every word of the input. TAG is the run that wrote all below it
work/TAG/phrases/PASS/ the pairs that are joined
work/TAG/tokens/       token, count, joined: every word and, joined, every two neighbours, how often each is there, and
                       how often of that as two; while a pass looks for pairs
work/TAG/vocab/        id, word, count and, where words are frozen, frozen: whether a word's row of syn0 stays as it is
work/TAG/corpus/       bucket, words, ids: a row for each sentence, ids as int32 little-endian, in training order
work/TAG/corpus.json   the index: files, and of each bucket its file, sentences and words
work/TAG/rounds/NAME/  the model after a round, partitioned by matrix: block, shard, values (float32, rows x
                       vector_size); metrics beside
work/TAG/model/        what is published, before it moves to OUT
work/metrics/          what each round measured, as JSON
work/CURRENT           the pointer: the round that counts and the one before it, and their files; all other rounds are
                       garbage
"""

from __future__ import annotations

import re

RUN, CURRENT, METRICS = "run.json", "CURRENT", "metrics"
COUNTS, CORPUS, CORPUS_INDEX, ROUNDS = "counts", "corpus", "corpus.json", "rounds"

TAG = re.compile(r"[0-9a-f]{8}")
