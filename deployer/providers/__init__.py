"""The ordered registry. Steps of one stage run in this order on a host."""

from deployer.providers.base import Provider
from deployer.providers.certificates import CertificatesProvider
from deployer.providers.drains import DrainsProvider
from deployer.providers.host import HostProvider
from deployer.providers.keepalived import KeepalivedProvider
from deployer.providers.lxc import LxcProvider
from deployer.providers.meter import MeterProvider
from deployer.providers.nftables import NftablesProvider
from deployer.providers.nginx import NginxProvider
from deployer.providers.platform import PlatformProvider
from deployer.providers.release import ReleaseProvider
from deployer.providers.router import RouterProvider
from deployer.providers.rsyslog import RsyslogProvider
from deployer.providers.slug import SlugProvider
from deployer.providers.stack import StackProvider
from deployer.providers.task import TaskProvider

PROVIDERS: tuple[Provider, ...] = (
    HostProvider(),
    ReleaseProvider(),
    PlatformProvider(),
    StackProvider(),
    SlugProvider(),
    TaskProvider(),
    RsyslogProvider(),
    NftablesProvider(),
    MeterProvider(),
    LxcProvider(),
    RouterProvider(),
    CertificatesProvider(),
    NginxProvider(),
    KeepalivedProvider(),
    DrainsProvider(),
)
