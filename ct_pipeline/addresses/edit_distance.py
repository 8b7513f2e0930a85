"""How many typing slips lie between two strings."""


def edit_distance(left: str, right: str) -> int:
    """Damerau-Levenshtein distance (optimal string alignment): one for each letter added, lost, changed, or swapped
    with its neighbour.
    """
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for row, letter in enumerate(left, start=1):
        current = [row]
        for column, other in enumerate(right, start=1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before_last[column - 2] + 1)
            current.append(cost)
        before_last, last = last, current
    return last[-1]


def shortened(text: str, letters: int) -> set[str]:
    """``text`` and all strings it becomes by losing up to ``letters`` letters.

    Two strings within a distance of ``letters`` always share one of these, so a table of them finds near strings
    without comparing each with each.
    """
    found = {text}
    newest = [(text, 0)]
    for _ in range(letters):
        # only letters behind the last one that was lost, so that no pair of positions is taken twice
        newest = [(word[:at] + word[at + 1 :], at) for word, start in newest for at in range(start, len(word))]
        found.update(word for word, _ in newest)
    return found
