"""`itm select` as its users type it."""

import re
import signal
import subprocess
import sys
import time

import pytest

from itm.store.files import read_json

MODELS = ("-m", "test_resnet.drawn_long", "-m", "test_efficientnet.textures")
SHORT = {
    "data": {"max_images": 150},
    "finetune": {
        "seeds": 1,
        "steps": 2,
        "evaluations": 2,
        "learning_rates": [1e-4, 1e-2],
        "few_images_divisor": 1,
        "batch_norm": "frozen",
    },
    "extract": {"device": "cpu"},
}


@pytest.mark.slow
def test_select_prints_the_answer_and_exports_it(project, call):
    here = project(**SHORT)
    printed = call("select", "digits", *MODELS, "--budget", "1h")
    assert "digits: accuracy after fine-tuning (full), in points" in printed.stdout
    assert re.search(r"For digits, fine-tune (\S+): expected accuracy \d+\.\d \[\d+\.\d, \d+\.\d\] %", printed.stdout)
    assert "recipe: protocol full, learning rate 0.0" in printed.stdout
    assert re.search(r"^\d+ \w+: \S+ \d+\.\d \[.*\] %, best with probability \d+ %", printed.stderr, flags=re.M)
    (stored,) = here.glob("kept/rankings/*/selected/selection.json")
    (selection,) = read_json(stored)["data_sets"]
    command = re.search(r"^checkpoint: itm (export digits --ranking \S+ --to \S+)$", printed.stdout, flags=re.M)
    assert command is not None
    exported = call(*command[1].split())
    assert exported.stdout.startswith(f"{selection['pick']} for digits, classifier of 10 classes: ")


def test_a_search_without_a_limit_is_an_error(project, call):
    project()
    printed = call("select", "digits", status=2)
    assert "error: a search needs a limit: give a time such as 30m, 2h, 1h30m or 90s, or a share" in printed.stderr
    assert "--budget is 'soon', which is no budget" in call("select", "digits", "--budget", "soon", status=2).stderr


def test_embeddings_cannot_be_selected_from(project, call):
    here = project()
    (here / "labels.csv").write_text("id,label\n1,a\n")
    printed = call("select", f"embeddings:{here}", "--budget", "1m", status=2)
    assert "embeddings cannot be fine-tuned" in printed.stderr


@pytest.mark.slow
@pytest.mark.servers
def test_an_interrupt_prints_the_answer_so_far(project):
    project(**SHORT)
    command = [sys.executable, "-c", "from itm.cli.app import app; app()", "select", "digits", *MODELS, "--budget", "1h"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr
    while "best with probability" not in (line := process.stderr.readline()):
        assert line, process.communicate()[0]
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, after = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "For digits, fine-tune " in printed
    assert "the same command resumes: itm select digits" in after
