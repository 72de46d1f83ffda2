"""The networks: character CNN, LSTMs, softmax, biLM, scalar mix."""
