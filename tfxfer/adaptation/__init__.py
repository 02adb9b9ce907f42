"""Another look than the labelled one: what is learnt of samples that nobody has labelled."""
