"""A real RTSP server on loopback: streams the frames of a raw BGR file, at their rate, over and over.

    server.py PORT CODEC WIDTH HEIGHT FPS FRAMES.bgr [USER:PASSWORD]

Prints "ready" when it accepts connections, and then takes one command a line, each answered with "done":

    fps N           so many frames a second from now on, such as 0.1
    garble P        each byte of the stream is spoilt with this probability, 0 to 1
    stop / go       the stream is gone (404) / there again
    refuse / admit  name and password are not taken any more / are again
    century         the stream's wall clock stands in the year 1900 for whoever connects from now on

Needs gir1.2-gst-rtsp-server-1.0, python3-gi and the GStreamer plug-ins.
"""
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, GObject, Gst, GstRtspServer  # noqa: E402

port, codec, width, height, fps, path = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6]
sign_in = sys.argv[7].split(":", 1) if len(sys.argv) > 7 else None
Gst.init(None)
frame_bytes = width * height * 3
data = open(path, "rb").read()
frames = [data[i:i + frame_bytes] for i in range(0, len(data), frame_bytes)]
caps = f"video/x-raw,format=BGR,width={width},height={height},framerate={fps}/1"
encoders = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=6000 ! {} ! rtph264pay name=pay0 pt=96 config-interval=1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=6000 ! {} ! rtph265pay name=pay0 pt=96 config-interval=1",
}
garble = "breakmydata name=garble probability=0"
state = {"fps": float(fps), "garble": 0.0, "century": False}
media_now = []


class Media(GstRtspServer.RTSPMedia):
    def do_setup_rtpbin(self, rtpbin):
        if state["century"]:
            # The sender reports then tell the time since the machine's start as if it were the wall clock's.
            rtpbin.set_property("ntp-time-source", 3)
        return True


class Factory(GstRtspServer.RTSPMediaFactory):
    def do_create_element(self, url):
        encoder = encoders[codec].format(garble)
        return Gst.parse_launch(f"( appsrc name=source is-live=true block=true format=time caps={caps} ! videoconvert ! video/x-raw,format=I420 ! {encoder} )")

    def do_configure(self, media):
        media_now.append(media)
        media.get_element().get_child_by_name("garble").set_property("probability", state["garble"])
        source = media.get_element().get_child_by_name("source")
        begun = time.monotonic()
        due = [begun]

        def push(src, _length):
            # In small steps, so that another rate holds at once.
            while time.monotonic() < due[0] + 1 / state["fps"]:
                time.sleep(0.005)
            due[0] = max(due[0] + 1 / state["fps"], time.monotonic() - 1 / state["fps"])
            now = time.monotonic() - begun
            # The frame that the clock asks for, so that a viewer can tell how old what it sees is.
            buffer = Gst.Buffer.new_wrapped(frames[int(now * fps) % len(frames)])
            buffer.pts = int(now * Gst.SECOND)
            buffer.duration = int(Gst.SECOND / state["fps"])
            src.emit("push-buffer", buffer)

        source.connect("need-data", push)


server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = Factory()
factory.set_shared(True)
factory.set_media_gtype(Media.__gtype__)
if sign_in:
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    basic = GstRtspServer.RTSPAuth.make_basic(*sign_in)
    auth.add_basic(basic, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/lane", factory)


def end_sessions():
    """As a camera that starts anew: whoever was watching is cut off."""
    server.client_filter(lambda _server, _client: GstRtspServer.RTSPFilterResult.REMOVE)


def command(line):
    word, _, value = line.partition(" ")
    if word == "fps":
        state["fps"] = float(value)
    elif word == "garble":
        state["garble"] = float(value)
        for media in media_now:
            element = media.get_element()
            if element is not None:
                element.get_child_by_name("garble").set_property("probability", state["garble"])
    elif word == "stop":
        server.get_mount_points().remove_factory("/lane")
        end_sessions()
    elif word == "go":
        server.get_mount_points().add_factory("/lane", factory)
    elif word == "refuse":
        auth.remove_basic(basic)
        end_sessions()
    elif word == "admit":
        auth.add_basic(basic, token)
    elif word == "century":
        state["century"] = True
        end_sessions()
    print("done", flush=True)
    return False


def listen():
    for line in sys.stdin:
        GLib.idle_add(command, line.strip())


if not server.attach(None):
    sys.exit("the port is taken")
print("ready", flush=True)
threading.Thread(target=listen, daemon=True).start()
GLib.MainLoop().run()
