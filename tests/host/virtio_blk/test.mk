# SPDX-License-Identifier: MIT
tests/host/virtio_blk_SOURCES := $(addprefix drivers/block/virtio-blk/,device.c pools.c jobs.c parts.c loop.c) \
	$(addprefix lib/driver/,virtio.c virtqueue.c pci.c dma.c) lib/pith/ring.c lib/pith/counters.c
tests/host/virtio_blk_FLAGS := -Ilib/pith/include -Ilib/driver/include -Idrivers/block/virtio-blk -Itests/host/fiber
