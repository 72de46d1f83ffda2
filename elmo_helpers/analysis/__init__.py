"""What vectors and models know: scores of words, generated titles, neighbours, occurrences, probes."""
