"""The modality `image`: photos from disk to the pixels a network takes."""
