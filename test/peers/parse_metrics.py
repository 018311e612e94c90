"""Parses a file of metrics as Prometheus would, and prints it as one JSON object: metric name to type and samples."""

import json
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

print(
    json.dumps(
        {
            family.name: {
                "type": family.type,
                "help": family.documentation,
                "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
            }
            for family in text_string_to_metric_families(Path(sys.argv[1]).read_text())
        }
    )
)
