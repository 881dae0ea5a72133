# Builds against glibc 2.28 with zig's clang, on any machine: give -DCMAKE_SYSTEM_PROCESSOR=x86_64 or aarch64. Needs the
# package ziglang in the environment whose bin/ comes first in PATH, and ZIG_GLOBAL_CACHE_DIR: see use_zig in
# scripts/environment.sh. Per file, -mcpu= takes zig's names: cortex_a53 for cortex-a53.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CMAKE_SYSTEM_PROCESSOR)
set(CMAKE_CXX_FLAGS_INIT "-O3 -fPIC -s")  # also of CMake's probes: other flags would mean another libc++, of a minute
set(CMAKE_CXX_COMPILER python-zig c++ -target ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu.2.28)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
