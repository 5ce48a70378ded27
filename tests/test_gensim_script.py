"""A script of a gensim user: with another import and constructor its other lines run as they are, and say the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GENSIM = """
from gensim.models import Word2Vec

model = Word2Vec(
    corpus_file=TEXT, vector_size=16, window=5, min_count=2, sample=0, epochs=5, sg=1, workers=1, seed=1, alpha=0.05
)
"""

OURS = """
import w2v_spark

model = w2v_spark.train(
    TEXT, OUT, vector_size=16, window_size=5, min_count=2, sample=0, max_iter=5, num_replicas=1, threads_per_replica=1
)
"""

REST = """
wv = model.wv
print(len(wv), wv.vector_size, wv.vectors.shape, wv["sea0"].shape, wv[["sea0", "sea1"]].shape)
print("sea0" in wv, "nothing" in wv, wv.key_to_index[wv.index_to_key[7]], wv.get_index("nothing", default=-1))
print(sorted(wv.index_to_key) == sorted(wv.key_to_index), wv.get_vecattr("sea0", "count"))

def topics(found):
    return sorted({word.rstrip("0123456789") for word, _ in found})

for word in ["sea0", "hill1", "town2", "star3"]:
    print(word, topics(wv.most_similar(word, topn=5)), topics(wv.similar_by_word(word, 5)))
print(topics(wv.most_similar(positive=["sea0", "sea1"], negative=["hill0"], topn=3)))
print(topics(wv.most_similar_cosmul(positive=["sea0", "sea1"], negative=["hill0"], topn=3)))
print(topics(wv.similar_by_vector(wv.get_mean_vector(["star0", "star1"]), topn=5)))
print(topics(wv.most_similar([wv["town0"]], topn=4)))
print(wv.similarity("sea0", "sea1") > wv.similarity("sea0", "hill0"), round(wv.similarity("sea0", "sea0"), 3))
print(wv.n_similarity(["sea0", "sea1"], ["sea2"]) > wv.n_similarity(["sea0", "sea1"], ["hill2"]))
print(wv.distance("sea0", "sea1") < wv.distance("sea0", "hill0"), wv.distances("sea0", ["sea1", "hill0"]).argmin())
print(wv.doesnt_match("sea0 sea1 sea2 town5".split()), wv.most_similar_to_given("sea0", ["hill0", "sea7", "star1"]))
print(wv.rank("sea0", "sea1") < 30 <= wv.rank("sea0", "hill0"), len(wv.closer_than("sea0", "hill0")) >= 29)
print(topics((word, 0) for _, word in wv.rank_by_centrality(["sea0", "sea1", "hill0"])[:2]))
score, sections = wv.evaluate_word_analogies(ANALOGIES)
print(sections[-1]["section"], len(sections[-1]["correct"]) + len(sections[-1]["incorrect"]), 0 <= score <= 1)
pearson, spearman, unknown = wv.evaluate_word_pairs(PAIRS)
print(pearson[0] > 0.7, spearman.statistic > 0.6, unknown)
wv.save_word2vec_format(SAVED, binary=True)
print(topics(type(wv).load_word2vec_format(SAVED, binary=True).most_similar("sea0", topn=5)))
try:
    wv["nothing"]
except KeyError as e:
    print("no such word")
"""


def test_import_and_constructor_are_all_that_changes(
    spark: SparkSession, small_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analogies, pairs = tmp_path / "analogies.txt", tmp_path / "pairs.txt"
    analogies.write_text(": topics\nsea0 sea1 hill0 hill1\nsea0 sea1 nothing hill1\n")
    pairs.write_text(
        "sea0\tsea1\t9\nhill0\thill1\t8\ntown0\ttown3\t9\nsea0\thill0\t1\nsea2\tstar0\t0\nsea0\tnothing\t1\n"
    )
    printed = []
    for name, constructor in (("gensim", GENSIM), ("ours", OURS)):
        files = {"TEXT": str(small_text / "lines.txt"), "OUT": str(tmp_path / "out"), "SAVED": str(tmp_path / name)}
        exec(constructor + REST, files | {"ANALOGIES": str(analogies), "PAIRS": str(pairs)})
        printed.append(capsys.readouterr().out.splitlines())
    assert printed[1] == printed[0]
    assert "sea0 ['sea'] ['sea']" in printed[0] and printed[0][-1] == "no such word"
