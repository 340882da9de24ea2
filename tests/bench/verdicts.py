"""How figures are printed and held against their aims."""

import statistics

missed = []


def say(text=""):
    print(text, flush=True)


def verdict(name, value, aim, unit="", at_least=False):
    good = value >= aim if at_least else value <= aim
    if not good:
        missed.append(name)
    sign = ">=" if at_least else "<="
    say(f"  {name:44} {value:8.2f}{unit:4} aim {sign} {aim:g}{unit}  {'ok' if good else 'MISSED'}")


def shown(values, scale=1.0):
    low, middle, high = min(values) * scale, statistics.median(values) * scale, max(values) * scale
    return f"{middle:8.3f} [{low:.3f}-{high:.3f}]"
