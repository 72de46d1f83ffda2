"""Modified Kneser-Ney smoothing a second time, slow and as the paper writes it."""

from collections import Counter


class KneserNeyByCounters:
    """The formula as it is written, with a dictionary for each length of run."""

    def __init__(self, runs, n_predicted):
        order = len(runs[0])
        self.n_predicted, self.c = n_predicted, {order: Counter(runs)}
        for n in range(order - 1, 0, -1):
            self.c[n] = Counter(run[1:] for run in self.c[n + 1])  # in how many words before it a run differs
        self.d = {n: self.discounts(c) for n, c in self.c.items()}

    @staticmethod
    def discounts(c):
        n = Counter(c.values())
        found = [0.0]
        for k in (1, 2, 3):
            d = k - (k + 1) * n[1] / (n[1] + 2 * n[2]) * n[k + 1] / n[k] if n[1] and n[k] else 0
            found.append(d if 0 < d < k else k / 2)
        return found

    def p(self, run):
        if not run:
            return 1 / self.n_predicted
        c, d = self.c[len(run)], self.d[len(run)]
        behind = {other: count for other, count in c.items() if other[:-1] == run[:-1]}
        if not behind:
            return self.p(run[1:])
        held = sum(d[min(count, 3)] for count in behind.values())
        count = c[run]
        return (count - d[min(count, 3)] + held * self.p(run[1:])) / sum(behind.values())
