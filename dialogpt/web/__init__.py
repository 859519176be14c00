"""The web page: a chat with the candidates behind each reply. Only here may gradio be imported."""
