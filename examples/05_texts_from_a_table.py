"""A table of texts and labels becomes a tested Keras model, and says which words it goes by.

python examples/05_texts_from_a_table.py reviews.csv "not worth the wait" reviews.keras
"""

import sys

import tfxfer
from tfxfer.inference.scoring import make_predictor
from tfxfer.trust.marks import mark_parts


def main(
    table: str, text: str, out: str, *, backbone: str = "minilm_l6", size: int = 64
) -> tuple[float, list[str]]:
    encoder = tfxfer.get_backbone(backbone)
    modality = tfxfer.get_modality(encoder.modality)
    data = tfxfer.load_samples(
        table, modality=modality, size=size, contract=encoder.preprocessing, seed=7
    )
    for line in data.audit.summary():
        print(line)

    model = tfxfer.build_model(encoder, labels=data.labels, size=size)
    tfxfer.fit(model, data)
    accuracy = tfxfer.evaluate(model, data.test)["accuracy"]
    print(f"test accuracy {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]")

    model.save(out)  # plain Keras: it loads without tfxfer

    (answer,) = tfxfer.predict(model, [text])
    print(f"{answer['label']} {answer['score']:.3f}: {answer['text']}")
    sample = tfxfer.Sample("text", content=text)
    _, (marks,) = mark_parts(make_predictor(model), sample)
    for word, drop in marks.list_strongest(3):
        print(f"  without {word!r} the score falls by {drop:.3f}")
    return accuracy["value"], [word for word, _ in marks.list_strongest(3)]


if __name__ == "__main__":
    main(*sys.argv[1:4])
