"""Run by `test_avito_py` with a Python of its own: avito-py walks from chats to subscriptions, and says what it saw.

Arguments: the host, a picture's path, the URL to subscribe. It looks for `images` in the answer to an upload, where the
specification has ids as keys, and so learns no id: it says "uploaded" and is told one on its standard input.
"""

import json
import sys
from pathlib import Path

from avito import AuthSettings, AvitoClient, AvitoSettings  # pyright: ignore[reportMissingImports]
from avito.messenger.models import UploadImageFile  # pyright: ignore[reportMissingImports]

host, picture, hook = sys.argv[1:]
settings = AvitoSettings(base_url=host, user_id=101, auth=AuthSettings(client_id="key", client_secret="secret"))
with AvitoClient(settings) as avito:
    chats = avito.chat(user_id=101).list().items
    chat_id = chats[0].chat_id
    chat, words = avito.chat(chat_id, user_id=101), avito.chat_message(chat_id=chat_id, user_id=101)
    messages = words.list().items
    sent = words.send_message(message="Да, в наличии")
    file = UploadImageFile("uploadfile[]", "a.png", Path(picture).read_bytes(), "image/png")
    avito.chat_media(user_id=101).upload_images(files=[file])
    print("uploaded", flush=True)
    shown = words.send_image(image_id=input())
    read = chat.mark_read()
    subscribed = avito.chat_webhook().subscribe(url=hook)
    print(
        json.dumps(
            {
                "chats": [one.chat_id for one in chats],
                "messages": [one.message_id for one in messages],
                "sent": sent.message_id,
                "shown": shown.message_id,
                "read": read.success,
                "subscribed": subscribed.success,
                "subscriptions": [one.url for one in avito.chat_webhook().list().items],
            }
        )
    )
