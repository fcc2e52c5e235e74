echo "hello {{ params.n }} of {{ ds }}"
