"""Build, deploy, roll back with Fabric 3.

    fab build --rev v1.1
    fab deploy
    fab rollback
    fab releases
    fab prune --keep 3
"""

from platter_setuptools.fabric import namespace

namespace.configure(
    {
        "platter": {
            "root": "/srv/yourapp",
            "hosts": ["web1", "web2", "web3", "web4", "web5"],
            "batch": 2,
            "keep": 3,
            "health_check": "yourapp --version",
            "reload": "sudo -n systemctl restart yourapp",
            "build_host": "builder",
            "build_command": "/path/to/venv/bin/platter",
        }
    }
)
