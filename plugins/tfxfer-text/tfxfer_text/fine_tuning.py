"""How encoders of text are best fine-tuned, as the papers of BERT and MiniLM do it."""

from __future__ import annotations

from tfxfer.fine_tuning import FineTuning, Losses

__all__ = ["ENCODER_FINE_TUNING"]

ENCODER_FINE_TUNING = FineTuning(
    head_epochs=30,
    head_rate=3e-3,
    epochs=3,
    rate=5e-5,
    unfreeze_from="embedding",
    warmup=0.1,
    optimizer="adamw",
    weight_decay=0.01,
    average=True,
    views=1,
    scratch_rate=1e-4,
    losses=Losses(
        by_frontier=((0.0, 0.0), (0.34, 1.0), (0.67, 2.0)),
        by_views=((1, 0.0),),
        by_epochs=((3, 0.0), (2, 0.5), (1, 2.0)),
        head_only=5.0,
        longest_epochs=4,
    ),
    sources=(
        "Devlin et al. 2019, A.3 (rate, epochs, batch)",
        "Mosbach et al. 2021 (warm-up, AdamW with bias correction)",
        "Wang et al. 2020 (MiniLM)",
    ),
)
"""The head on frozen vectors, then all blocks at a twentieth of an image's rates.

Source:
    Devlin et al. 2019, https://arxiv.org/abs/1810.04805, appendix A.3: batches of 16 or 32, rates
    of 5e-5, 3e-5 and 2e-5, 2 to 4 epochs; decay 0.01 and a warm-up, A.2. Wang et al. 2020,
    https://arxiv.org/abs/2002.10957, fine-tune MiniLM in the same way. Mosbach et al. 2021,
    https://arxiv.org/abs/2006.04884: a warm-up over a tenth of the steps and the correction of
    Adam's bias, which Keras has, keep small sets from diverging. That the tables stay frozen is
    ours: they hold half of MiniLM's numbers, of which a small set moves few.
"""
