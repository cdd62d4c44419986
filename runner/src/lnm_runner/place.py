"""What a database of a cluster is called on this machine: the same for every member and router, and the name of its folders."""

from __future__ import annotations

import hashlib

from lnm_runner.mongo import Database


def known_as(database: Database) -> str:
    """What the cluster and the database are called, the same for every member and router."""
    hello = database.client.admin.command("hello")
    nodes = ",".join(sorted(f"{host}:{port}" for host, port in database.client.nodes))
    return f"{hello.get('setName') or nodes}/{database.name}"


def identity(database: Database) -> str:
    """What tells the database from that of any other cluster: replica sets of two sites are often called the same.

    It needs `replSetGetConfig`, or through a router to read config.version (role lnmRunbook).
    """
    client = database.client
    if client.admin.command("hello").get("setName"):
        found = client.admin.command("replSetGetConfig")["config"].get("settings", {}).get("replicaSetId")
    else:
        found = (client.config["version"].find_one() or {}).get("clusterId")
    return f"{found or known_as(database)}/{database.name}"


def folder_name(database: Database) -> str:
    """What the folder of a database on this machine is called: one for each database of each cluster."""
    return f"{database.name}-{hashlib.sha256(known_as(database).encode()).hexdigest()[:8]}"
