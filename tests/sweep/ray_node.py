"""A node of a Ray cluster on the loopback address, until standard input ends.

Not `ray start`: it joins no cluster where Ray is told to listen on that address alone.
"""

import json
import sys

from ray._private.node import Node
from ray._private.parameter import RayParams


def main(temp_dir: str, cpus: str, address: str = "") -> None:
    """Start the node, print the cluster's address, wait."""
    params = RayParams(
        node_ip_address="127.0.0.1",
        gcs_address=address or None,
        temp_dir=temp_dir,
        num_cpus=int(cpus),
        num_gpus=0,
        object_store_memory=100_000_000,
        include_dashboard=False,
        include_log_monitor=False,
        node_manager_port=0,
        min_worker_port=0,
        max_worker_port=0,
    )
    node = Node(params, head=not address, shutdown_at_exit=True, spawn_reaper=True)
    print(json.dumps([node.gcs_address, node.node_id]), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
