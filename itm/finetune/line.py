"""A fine-tuned pair in a line, as it is logged while others are still at work."""

from itm.finetune.records import Finetuned


def line(pair: Finetuned) -> str:
    """Return in a line what a pair came to."""
    if pair.failure:
        return f"{pair.model} on {pair.data}: failed at {pair.failure.step}: {pair.failure.reason}"
    told = []
    for protocol in dict.fromkeys(run.protocol for run in pair.runs):
        own = [run for run in pair.runs if run.protocol == protocol]
        accuracies = " ".join(f"{100 * run.test_accuracy:.1f}" for run in own)
        told.append(f"{protocol} {accuracies} % at {own[0].learning_rate:g}")
    seconds = sum(run.seconds for run in pair.runs)
    cached = all(run.cached for run in pair.runs)
    return f"{pair.model} on {pair.data}: {', '.join(told)} ({'cached' if cached else f'{seconds:.0f} s'})"
