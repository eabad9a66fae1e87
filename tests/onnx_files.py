"""Writes small ONNX files, by the numbers of onnx.proto's fields: the tests have no `onnx`.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import numpy as np
from helpers import protobuf

POOLED = [("GlobalAveragePool", ["image"], ["pooled"]), ("Flatten", ["pooled"], ["means"])]


def integer_attribute(name, value):
    return protobuf((1, name), (20, 2), (3, value))


def text_attribute(name, text):
    return protobuf((1, name), (20, 3), (4, text))


def save_onnx(path, nodes, constants=(), sizes=(1, 3, 8, 8), external="", metadata=(), domains=()):
    """Saves a model of one `image`; its outputs are those of the last node; returns the path.

    A node is (operation, inputs, outputs, attributes...); an operation may be "domain:name".
    `external` is the name of the file with all the `constants`, one after the other; the caller
    writes it.
    """
    dimensions = [(1, protobuf((1, size))) for size in sizes]
    image_type = protobuf((1, protobuf((1, 1), (2, protobuf(*dimensions)))))
    graph = [(2, "graph"), (11, protobuf((1, "image"), (2, image_type)))]
    for operation, inputs, outputs, *attributes in nodes:
        domain, _, kind = operation.rpartition(":")
        fields = [(1, name) for name in inputs] + [(2, name) for name in outputs]
        fields += [(4, kind), *((5, attribute) for attribute in attributes)]
        graph.append((1, protobuf(*fields, *([(7, domain)] if domain else []))))
    offset = 0
    for name, array in dict(constants).items():
        number = {"float32": 1, "int64": 7, "bool": 9}[array.dtype.name]
        fields = [*((1, size) for size in array.shape), (2, number), (8, name)]
        if external:
            place = {"location": external, "offset": str(offset), "length": str(array.nbytes)}
            fields += [(13, protobuf((1, key), (2, value))) for key, value in place.items()]
            fields.append((14, 1))
            offset += array.nbytes
        else:
            fields.append((9, np.ascontiguousarray(array).tobytes()))
        graph.append((5, protobuf(*fields)))
    for name in nodes[-1][2]:
        graph.append((12, protobuf((1, name), (2, protobuf((1, protobuf((1, 1))))))))
    operation_sets = [(8, protobuf((2, 13)))]
    operation_sets += [(8, protobuf((1, domain), (2, 1))) for domain in domains]
    entries = [(14, protobuf((1, name), (2, text))) for name, text in dict(metadata).items()]
    path.write_bytes(protobuf((1, 8), (7, protobuf(*graph)), *operation_sets, *entries))
    return path
