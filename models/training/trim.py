"""Takes out of an exported network what its caller can do for nothing while it writes the input and reads the answer.

    python trim.py ../detector.onnx ../corners.onnx ../reader.onnx

- The input's shift and factor: the caller writes a picture's black and white as the network wants them. Those two values are
  written into the file (`plategate.black`, `plategate.white`).
- The detector's two last layers become one, without the score's sigmoid (`plategate.score` = `logit`): a cell's score is
  only asked where a plate may be.

On a whole frame this was a sixth of the INT8 detector's time. A file that is trimmed already stays as it is.
"""
import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """A model's graph by names."""

    def __init__(self, model):
        self.graph = model.graph

    def value(self, name):
        """A constant's value; None if it is computed."""
        for tensor in self.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        node = self.maker(name)
        return numpy_helper.to_array(node.attribute[0].t) if node is not None and node.op_type == "Constant" else None

    def maker(self, name):
        """The node whose output this is."""
        return next((n for n in self.graph.node if name in n.output), None)

    def users(self, name):
        """The nodes whose input this is."""
        return [n for n in self.graph.node if name in n.input]

    def rename(self, old, new):
        """Lets everybody who used `old` use `new`."""
        for node in self.users(old):
            node.input[:] = [new if name == old else name for name in node.input]

    def sweep(self):
        """Removes nodes and constants that nobody uses."""
        outputs = {o.name for o in self.graph.output}
        while True:
            used = outputs | {name for n in self.graph.node for name in n.input}
            idle = [n for n in self.graph.node if not used & set(n.output)]
            for node in idle:
                self.graph.node.remove(node)
            if not idle:
                break
        for tensor in [t for t in self.graph.initializer if t.name not in used]:
            self.graph.initializer.remove(tensor)


def fold_input(graph):
    """Removes the arithmetic before the first convolution; gives what it made of black and white, 0 and 1."""
    name = graph.graph.input[0].name
    levels = np.array([0.0, 1.0])
    while len(users := graph.users(name)) == 1 and users[0].op_type in ("Sub", "Mul"):
        node = users[0]
        number = graph.value(node.input[1])
        if number is None or number.size != 1:
            break
        levels = levels - number.item() if node.op_type == "Sub" else levels * number.item()
        graph.rename(node.output[0], name)
        graph.graph.node.remove(node)
    return levels


def join_heads(graph):
    """Makes one convolution of the detector's score and corners, and leaves the sigmoid out; False if it is one already."""
    score, corners = (next((n for n in graph.graph.node if n.name == f"/{head}/Conv"), None) for head in ("score", "corners"))
    if score is None or corners is None:
        return False
    scale, = graph.users(corners.output[0])
    assert scale.op_type == "Mul" and score.input[0] == corners.input[0]
    factor = graph.value(next(name for name in scale.input if name != corners.output[0]))
    weight, bias = ([graph.value(name) for name in (score.input[i], corners.input[i])] for i in (1, 2))
    joined = {"heads.weight": np.concatenate([weight[0], weight[1] * factor]), "heads.bias": np.concatenate([bias[0], bias[1] * factor])}
    graph.graph.initializer.extend(numpy_helper.from_array(v.astype(np.float32), k) for k, v in joined.items())
    output = graph.graph.output[0].name
    graph.graph.node.remove(graph.maker(output))
    kept = {a.name: helper.get_attribute_value(a) for a in score.attribute}
    graph.graph.node.append(helper.make_node("Conv", [score.input[0], *joined], [output], "/heads/Conv", **kept))
    return True


def trim(model):
    """Trims a model in place; its metadata then tells how it is to be used."""
    graph, told = Graph(model), {p.key: p.value for p in model.metadata_props}
    black, white = fold_input(graph)
    if "plategate.black" not in told:
        told |= {"plategate.black": f"{black:.6g}", "plategate.white": f"{white:.6g}"}
    if told["plategate.role"] == "detector" and join_heads(graph):
        told["plategate.score"] = "logit"
    graph.sweep()
    helper.set_model_props(model, told)
    onnx.checker.check_model(model)


def levels(model):
    """What black and white are at the model's input."""
    told = {p.key: p.value for p in model.metadata_props}
    return float(told.get("plategate.black", 0)), float(told.get("plategate.white", 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="+")
    for path in parser.parse_args().file:
        model = onnx.load(str(path))
        trim(model)
        onnx.save(model, str(path))
        print(path.name, *levels(model), len(model.graph.node), "nodes")


if __name__ == "__main__":
    main()
