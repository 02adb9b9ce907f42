"""Cannot be imported."""

raise RuntimeError("this modality cannot be imported,\nas it says on two lines")
