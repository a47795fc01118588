/* SPDX-License-Identifier: MIT */
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 4096u

static int write_all(int file, const uint8_t *data, uint32_t size, uint32_t address)
{
    while (size != 0) {
        ssize_t written = pwrite(file, data, size, (off_t)address);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        data += written;
        size -= (uint32_t)written;
        address += (uint32_t)written;
    }
    return 0;
}

static bool is_inside(const struct tern_posix_flash *flash, uint32_t address, uint32_t size)
{
    uint32_t whole = flash->flash.sector_size * flash->flash.sector_count;
    return address <= whole && size <= whole - address;
}

static int read_flash(void *context, uint32_t address, void *data, uint32_t size)
{
    const struct tern_posix_flash *flash = context;
    if (!is_inside(flash, address, size))
        return -1;
    memcpy(data, flash->cells + address, size);
    return 0;
}

static int finish(const struct tern_posix_flash *flash)
{
    return flash->sync ? fdatasync(flash->file) : 0;
}

static bool is_erased(const uint8_t *bytes, uint32_t size)
{
    for (; size != 0; size--)
        if (*bytes++ != 0xFF)
            return false;
    return true;
}

/* A chip would AND the bits together and, with ECC, spoil the unit: here it is an error, so that tests see
 * it. */
static int program_flash(void *context, uint32_t address, const void *data, uint32_t size)
{
    const struct tern_posix_flash *flash = context;
    uint32_t unit = flash->flash.program_unit;
    if (!is_inside(flash, address, size) || address % unit != 0 || size % unit != 0 ||
        !is_erased(flash->cells + address, size))
        return -1;
    memcpy(flash->cells + address, data, size);
    return finish(flash);
}

static int fill_erased(int file, uint32_t address, uint32_t size)
{
    uint8_t erased[PIECE];
    memset(erased, 0xFF, sizeof(erased));
    while (size != 0) {
        uint32_t piece = size < PIECE ? size : PIECE;
        if (write_all(file, erased, piece, address) != 0)
            return -1;
        address += piece;
        size -= piece;
    }
    return 0;
}

static int erase_flash(void *context, uint32_t address)
{
    const struct tern_posix_flash *flash = context;
    uint32_t size = flash->flash.sector_size;
    if (!is_inside(flash, address, size) || address % size != 0)
        return -1;
    memset(flash->cells + address, 0xFF, size);
    return finish(flash);
}

static int lock(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_SETLK, &whole);
}

/* A file that is too short was being made when its process died: nothing has been stored in it yet. */
static int make_whole(struct tern_posix_flash *flash, off_t found, off_t wanted)
{
    if (found == wanted)
        return 0;
    if (found > wanted)
        return -1;
    return fill_erased(flash->file, (uint32_t)found, (uint32_t)(wanted - found));
}

static int map(struct tern_posix_flash *flash, size_t size)
{
    void *cells = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, flash->file, 0);
    flash->cells = cells == MAP_FAILED ? NULL : cells;
    return flash->cells == NULL ? -1 : 0;
}

int tern_posix_flash_open(struct tern_posix_flash *flash, const char *path, uint32_t sector_size,
                          uint32_t sector_count, uint8_t program_unit, char *message, size_t size)
{
    struct stat found;
    off_t wanted = (off_t)sector_size * (off_t)sector_count;
    *flash = (struct tern_posix_flash){
        .flash = {flash, read_flash, program_flash, erase_flash, sector_size, sector_count, program_unit, 0},
        .file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644),
    };
    if (flash->file < 0 || fstat(flash->file, &found) != 0) {
        snprintf(message, size, "%s: cannot open the flash file: %s", path, strerror(errno));
    } else if (lock(flash->file) != 0) {
        snprintf(message, size, "%s: the flash file is in use by another process; stop it first", path);
    } else if (found.st_size > wanted) {
        snprintf(
            message, size,
            "%s: is %lld bytes and a flash of this geometry has %lld; give the geometry it was made with",
            path, (long long)found.st_size, (long long)wanted);
    } else if (make_whole(flash, found.st_size, wanted) != 0 || map(flash, (size_t)wanted) != 0) {
        snprintf(message, size, "%s: cannot fill the flash file: %s; make room on the disk", path,
                 strerror(errno));
    } else {
        return 0;
    }
    tern_posix_flash_close(flash);
    return -1;
}

void tern_posix_flash_close(struct tern_posix_flash *flash)
{
    if (flash->cells != NULL)
        munmap(flash->cells, (size_t)flash->flash.sector_size * flash->flash.sector_count);
    if (flash->file >= 0)
        close(flash->file);
    flash->cells = NULL;
    flash->file = -1;
}
