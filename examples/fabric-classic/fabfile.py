"""The two tasks of Platter's manual, mended, for fab-classic (the API of Fabric 1 on Python 3).

    fab build                   # or build:rev=1.0
    fab -H web1,web2 deploy     # or deploy:archive=dist/yourapp-1.0-linux-x86_64.tar.gz
    fab -H web1,web2 -- ln -sfn 1.0 /srv/yourapp/versions/current    # back to 1.0
"""
import os
import tempfile
import uuid
from shlex import quote

from fabric.api import cd, get, hosts, local, put, run, task

PLATTER = '/path/to/venv/bin/platter'  # on the build server
VERSIONS = '/srv/yourapp/versions'


def ask(command):
    """Return what a command prints, without what start-up files of the host print around it."""
    mark = uuid.uuid4().hex
    return run('echo %s && %s && echo %s' % (mark, command, mark)).split(mark)[1].strip()


@task
@hosts('my-build-server')
def build(rev='HEAD'):
    handle, tmp = tempfile.mkstemp(suffix='.tar.gz')
    os.close(handle)
    # A revision could look like an option of git archive; its hash does not.
    commit = local('git rev-parse --verify --end-of-options %s' % quote(rev + '^{commit}'), capture=True)
    local('git archive %s | gzip > %s' % (quote(commit), quote(tmp)))
    buildtmp = '/tmp/build-%s' % uuid.uuid4().hex
    run('mkdir -m 700 %s' % buildtmp)
    try:
        put(tmp, '%s/src.tar.gz' % buildtmp)
        with cd(buildtmp):
            run('tar xzf src.tar.gz')
            # The bundle goes where nothing else is: sdists end in .tar.gz, too.
            run('%s build --output=bundle .' % PLATTER)
            local('mkdir -p dist')
            get('bundle/*.tar.gz', 'dist')
    finally:
        run('rm -rf %s' % buildtmp)
        os.unlink(tmp)


@task
def deploy(archive=None):
    if archive is None:
        archive = local('platter latest dist', capture=True)
    tmp = ask('mktemp -d')
    try:
        put(archive, '%s/bundle.tar.gz' % tmp)
        # The archive stays outside: install.sh refuses a bundle with files that do not belong to it.
        run('mkdir %s/bundle' % quote(tmp))
        with cd('%s/bundle' % tmp):
            run('tar --strip-components=1 -xzf ../bundle.tar.gz')
            version = ask('cat VERSION')
            run('./install.sh %s' % quote('%s/%s' % (VERSIONS, version)))
            # Without -n the second release's link would end up in the first one's folder.
            run('ln -sfn %s %s' % (quote(version), quote('%s/current' % VERSIONS)))
    finally:
        run('rm -rf %s' % quote(tmp))
