"""The hosts of empty_plan.py, as pyinfra reads them."""

import json
import os

hosts = [
    (
        place["name"],
        {
            "ssh_hostname": place["address"],
            "ssh_port": place["port"],
            "ssh_user": place["user"],
            "ssh_key": place["key"],
            "ssh_known_hosts_file": place["known_hosts"],
            "ssh_strict_host_key_checking": "yes",
        },
    )
    for place in json.loads(os.environ["BENCH"])["hosts"]
]
