"""A real RTSP server on loopback: streams the frames of a raw BGR file, at their rate, over and over.

    server.py PORT CODEC WIDTH HEIGHT FPS FRAMES.bgr

Prints "ready" when it accepts connections. Needs gir1.2-gst-rtsp-server-1.0, python3-gi and the GStreamer plug-ins.
"""
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

port, codec, width, height, fps, path = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6]
Gst.init(None)
frame_bytes = width * height * 3
data = open(path, "rb").read()
frames = [data[i:i + frame_bytes] for i in range(0, len(data), frame_bytes)]
caps = f"video/x-raw,format=BGR,width={width},height={height},framerate={fps}/1"
encoders = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=6000 ! rtph264pay name=pay0 pt=96 config-interval=1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=6000 ! rtph265pay name=pay0 pt=96 config-interval=1",
}


class Factory(GstRtspServer.RTSPMediaFactory):
    def do_create_element(self, url):
        return Gst.parse_launch(f"( appsrc name=source is-live=true block=true format=time caps={caps} ! videoconvert ! video/x-raw,format=I420 ! {encoders[codec]} )")

    def do_configure(self, media):
        source = media.get_element().get_child_by_name("source")
        begun = time.monotonic()
        count = [0]

        def push(src, _length):
            due = begun + count[0] / fps
            time.sleep(max(0.0, due - time.monotonic()))
            # The frame that the clock asks for, so that a viewer can tell how old what it sees is.
            buffer = Gst.Buffer.new_wrapped(frames[int((time.monotonic() - begun) * fps) % len(frames)])
            buffer.duration = Gst.SECOND // fps
            buffer.pts = count[0] * buffer.duration
            count[0] += 1
            src.emit("push-buffer", buffer)

        source.connect("need-data", push)


server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = Factory()
factory.set_shared(True)
server.get_mount_points().add_factory("/lane", factory)
if not server.attach(None):
    sys.exit("the port is taken")
print("ready", flush=True)
GLib.MainLoop().run()
